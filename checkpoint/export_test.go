package checkpoint

// Small is for the tests that hold a file from outside.
var Small = small
