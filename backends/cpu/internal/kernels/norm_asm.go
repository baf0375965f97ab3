//go:build amd64 && !noasm

package kernels

var avx2Norm = normTable{
	moments:      momentsAVX2,
	apply:        applyAVX2,
	applyRelu:    applyReluAVX2,
	applyAdd:     applyAddAVX2,
	applyAddRelu: applyAddReluAVX2,
	gradSums:     gradSumsAVX2,
	gradSumsRelu: gradSumsReluAVX2,
	gradMasked:   gradMaskedAVX2,
	input:        inputAVX2,
	inputRelu:    inputReluAVX2,
}

var avx512Norm = normTable{
	moments:      momentsAVX512,
	apply:        applyAVX512,
	applyRelu:    applyReluAVX512,
	applyAdd:     applyAddAVX512,
	applyAddRelu: applyAddReluAVX512,
	gradSums:     gradSumsAVX512,
	gradSumsRelu: gradSumsReluAVX512,
	gradMasked:   gradMaskedAVX512,
	input:        inputAVX512,
	inputRelu:    inputReluAVX512,
}
