package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/nn/models"
)

// addModel adds the flag --model. Its value must pass checkModel.
func addModel(fs *pflag.FlagSet, name *string, value string) {
	fs.StringVar(name, "model", value, "`NAME` of the model: "+strings.Join(models.Names(), ", "))
}

func checkModel(name string) error { return oneOf("model", name, models.Names()...) }
