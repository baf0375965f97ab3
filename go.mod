module github.com/compressaware/cram

go 1.25.0
