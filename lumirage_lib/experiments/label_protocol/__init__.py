"""The same registrations under many rulers."""
