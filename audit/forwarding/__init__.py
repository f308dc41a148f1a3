"""The trail for other machines: events in the forms that log stores read, and the streams that carry them there."""
