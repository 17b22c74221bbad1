// Package stores opens the stores that a process is told of: one for everything,
// and others for what lies below certain prefixes.
//
// # Vocabulary
//
//   - The default store is the one that MAINSPRING_S3_* and AWS_* name. Snapshots,
//     models, routes and logs are written to its bucket.
//   - A profile says where the objects below one prefix of URIs lie, such as
//     s3://lake/flights/, and with which credentials they are reached. Profiles
//     are in a file of their own, named by MAINSPRING_STORES.
//   - A secret reference is env:NAME or file:PATH. Keys are written as nothing
//     else, so that the file can be kept where everybody reads it. They are read
//     when they are first needed: a process that never asks a store needs no keys
//     of it.
package stores
