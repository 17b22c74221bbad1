// Package signing signs models and says where they come from, in formats that
// other tools verify: OpenSSF Model Signing v1, and SLSA provenance v1 as an
// in-toto statement. Both travel in a sigstore bundle.
//
// # Vocabulary
//
//   - A [Key] signs digests. The private part may be a file or live in a token
//     or a cloud's key service; only its public part is ever needed here.
//   - A key ID is the hexadecimal SHA-256 of a public key as PEM text. It names
//     a key and proves nothing.
//   - A statement is in-toto's JSON: subjects with digests, and a predicate that
//     says something about them.
//   - A bundle is a statement with one signature over it (a DSSE envelope), and
//     the ID of the key that made it.
//   - Trust is the set of public keys whose signatures count.
//   - A [File] is a path inside of a model's directory and the digest of its
//     bytes; the root digest is that of all files' digests in their order.
//
// # What verifies
//
// A bundle verifies when a trusted key has signed exactly the bytes of its
// statement. A model verifies when the statement lists exactly its files: one
// that differs, is missing, or is there in addition is an error that names it.
// Nothing is looked up anywhere: there is no certificate, no transparency log
// and no network.
//
// Signatures of curves P-256, P-384 and P-521 are made with SHA-256, SHA-384
// and SHA-512, as upstream does.
package signing
