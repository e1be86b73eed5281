"""A distribution that knows kubexm only through its entry points and its public names."""
