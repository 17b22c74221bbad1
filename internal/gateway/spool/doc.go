// Package spool keeps records on the local disk until they have been uploaded.
//
// # Vocabulary
//
//   - A record is a short run of bytes; the spool does not look into it.
//   - A topic is a queue of records, such as one endpoint's. It is a directory.
//   - A segment is a file of records that is only ever appended to. The topic's
//     active segment grows; a sealed one does not change any more, and its name
//     says what it is called wherever it goes.
//
// # What survives
//
// A record that Append has taken is in the kernel's hands, by write(2): it
// survives a process that is killed at any moment. It is not forced to the disk:
// a host that loses its power may lose the last seconds. A process that is
// killed while it writes leaves a torn record; Open cuts it off, and what was
// written before it stays. After a restart every segment is sealed, so that a
// segment that was uploaded and not removed yet is uploaded again with the same
// name and the same records.
//
// # Format
//
// A segment starts with eight bytes that name the format. A record follows as
// its length (uint32), the CRC-32C of the length and the record (uint32), both
// little-endian, and the record.
package spool
