// Package upstream speaks HTTP/1.1 to model servers in the goroutine of the
// request. http.Transport has two goroutines per connection, and handing a
// request over to them and its answer back costs more than all else that the
// gateway does; see docs/adr/0010.
//
// Vocabulary: a wire is a connection to a server, used by one request at a time.
// An idle wire waits for the next one. A fresh wire has carried no request.
//
// It is for small requests that may be sent twice: the request is written to the
// end before the answer is read, and a server may have closed an idle wire
// without anybody noticing. [MaxBody] bounds what is written, so that it fits
// what the kernel takes in without the server's help. Everything else belongs to
// http.Transport.
package upstream
