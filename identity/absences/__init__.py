"""Who is away from when until when, and who decides for them meanwhile."""
