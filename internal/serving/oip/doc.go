// Package oip reads and writes the Open Inference Protocol v2 over
// HTTP: as JSON, and with binary data after it. Its form in gRPC is in the
// package grpcv2.
//
// # Vocabulary
//
//   - A tensor has a name, a datatype of the protocol (BYTES, INT64, FP32, …),
//     a shape, and its values in row-major order.
//   - A raw tensor is a tensor whose values are still text or bytes. Scanning finds
//     raw tensors without looking at the values, which is all that a gateway
//     needs; decoding turns one into values, which is what a server needs.
//   - A tensor's data may be nested lists or one flat list; both mean the same.
//   - Binary data are values in the form that [AppendBinary] writes, put after
//     the JSON of a message. The parameter binary_data_size of a tensor says
//     how many bytes are its own, and the header [HeaderLength] where the JSON
//     ends: the protocol's binary tensor data extension, with which Triton's
//     clients ask by default.
//
// The reader is written by hand because it is on the path of every prediction:
// it goes over the bytes once, allocates the values only, and its errors name
// the input.
package oip
