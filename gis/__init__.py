"""What follows from what is known: spatial answers, without HTTP and without the environment."""
