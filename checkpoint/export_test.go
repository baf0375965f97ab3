package checkpoint

// Small is small for tests of package checkpoint_test.
var Small = small
