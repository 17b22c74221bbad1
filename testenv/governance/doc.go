// Package governance has the proofs, on real servers, that a collection deletes
// what nobody needs and nothing else, that lineage finds who used what, and that
// MLflow shows what a model was made of.
//
//	go run -p 2 ./testenv/withstack -- go test ./testenv/governance
//
// Workflows that only have to run or to answer are stand-ins: the servers, and
// what is asked of them, are real.
package governance
