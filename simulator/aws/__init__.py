"""The AWS front: moto's dispatch, answered from the world."""
