"""What is kept between connections, and for how long it holds."""
