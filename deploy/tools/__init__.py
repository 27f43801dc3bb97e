"""What makes, tries and releases the image and the wheels. It is no part of the package."""
