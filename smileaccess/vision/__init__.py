"""The local eyes: detector, mesh, tracking, smile and quality."""
