//go:build amd64 && !noasm

package kernels

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
	exp:      expAVX2,
	expm1:    expm1AVX2,
	log:      logAVX2,
	tanh:     tanhAVX2,
	erf:      erfAVX2,
	scale:    scaleAVX2,
	shift:    shiftAVX2,
	axpby:    axpbyAVX2,
	mask:     keepAVX2,
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
	exp:      expAVX512,
	expm1:    expm1AVX512,
	log:      logAVX512,
	tanh:     tanhAVX512,
	erf:      erfAVX512,
	scale:    scaleAVX512,
	shift:    shiftAVX512,
	axpby:    axpbyAVX512,
	mask:     keepAVX512,
}
