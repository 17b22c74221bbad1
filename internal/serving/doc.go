// Package serving loads a model version and answers predictions with it, over
// HTTP ([Server]) or within the process ([Model]).
//
// # Vocabulary
//
//   - The runtime is ONNX Runtime's shared library, loaded at run time from the
//     path in MAINSPRING_ONNXRUNTIME. A process opens it once.
//   - A model directory has MLflow's model format: an MLmodel file whose onnx
//     flavour names the ONNX file.
//   - A port is a named input or output of a model. Its shape has -1 for a
//     dimension that the request chooses; a leading -1 is the batch, and all
//     inputs of one prediction have the same batch.
//   - Ready means: a prediction with blank inputs has been made.
//
// The runtime needs cgo. Without it everything builds, and opening the runtime
// says so.
package serving
