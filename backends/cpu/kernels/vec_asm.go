//go:build amd64 && !noasm

package kernels

import "math"

var avx2Vectors = vectorTable{
	add:      addAVX2,
	sub:      subAVX2,
	mul:      mulAVX2,
	div:      divAVX2,
	max:      maxAVX2,
	min:      minAVX2,
	reluGrad: reluGradAVX2,
	neg:      negAVX2,
	abs:      absAVX2,
	sqrt:     sqrtAVX2,
	relu:     reluAVX2,
	exp:      viaFloat64(math.Exp),
	expm1:    viaFloat64(math.Expm1),
	log:      viaFloat64(math.Log),
	tanh:     viaFloat64(math.Tanh),
	erf:      viaFloat64(math.Erf),
	scale:    scaleAVX2,
	shift:    shiftAVX2,
	axpby:    axpbyAVX2,
	keep:     keepAVX2,
}

var avx512Vectors = vectorTable{
	add:      addAVX512,
	sub:      subAVX512,
	mul:      mulAVX512,
	div:      divAVX512,
	max:      maxAVX512,
	min:      minAVX512,
	reluGrad: reluGradAVX512,
	neg:      negAVX512,
	abs:      absAVX512,
	sqrt:     sqrtAVX512,
	relu:     reluAVX512,
	exp:      viaFloat64(math.Exp),
	expm1:    viaFloat64(math.Expm1),
	log:      viaFloat64(math.Log),
	tanh:     viaFloat64(math.Tanh),
	erf:      viaFloat64(math.Erf),
	scale:    scaleAVX512,
	shift:    shiftAVX512,
	axpby:    axpbyAVX512,
	keep:     keepAVX512,
}
