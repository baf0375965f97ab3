.PHONY: test check bench
test: # the tests of the module
	go test ./...
check: # everything that must pass on main
	.ci/run
bench: # sizes and times of files, and the time of a training step
	go run ./cmd/cram bench file
	go run ./cmd/cram bench train
