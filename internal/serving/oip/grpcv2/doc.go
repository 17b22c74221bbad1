// Package grpcv2 is the gRPC form of the Open Inference Protocol v2: messages
// and service generated from inference.proto, and their translation from and
// to the tensors of package oip.
//
// # Vocabulary
//
//   - Contents are a tensor's values as a typed list in the tensor's message.
//   - Raw contents are the same values in binary form, one entry per tensor,
//     beside the tensors. A message has contents or raw contents, never both.
//   - Translating a request gives decoded tensors; the other direction takes
//     an oip.Response. Both check what the message promises (counts, lengths,
//     datatypes) and name the tensor in their errors.
package grpcv2

//go:generate ./generate.sh
