"""The tests, a file a module, with hand-written fakes of every port."""
