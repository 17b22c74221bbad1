// Package clouds proves, with two real S3 servers that know nothing of each
// other, that a lifecycle reads from one and writes to the other, that copies
// between them survive being killed, and what people are told of bad settings.
//
//	go run ./testenv/withstack -- go test ./testenv/clouds
package clouds
