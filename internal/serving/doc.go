// Package serving loads a model version and answers predictions with it, over
// HTTP and gRPC ([Server]) or within the process ([Model]).
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
//   - The provider is the part of the runtime that predicts: the CPU's, or an
//     accelerator's when a device is leased and the library has it.
//   - A question is a request that has been read, from HTTP or from gRPC; both
//     are answered by the same way and under the same limits.
//   - A request is pending from its admission until its answer is made.
//   - A joint prediction is one for several requests (dynamic batching). A
//     request never fails for the fault of another in it.
//   - Ready means: a prediction with blank inputs has been made, and one of a
//     full batch where requests are joined. A server that was told to stop is
//     not ready, and finishes what is pending.
//
// The runtime needs cgo. Without it everything builds, and opening the runtime
// says so.
package serving
