// Package accel finds the accelerators of a host and pins processes to them.
//
// # Vocabulary
//
//   - An inventory is a source of devices: a vendor's driver library, or flags.
//     A host has several; [Join] makes one of them.
//   - A virtual device stands for a share of the host's cores where there is no
//     accelerator. It is leased, fenced and shown like any other.
//   - A device is named by its UUID everywhere, never by its index: indices
//     change when a device falls off the bus, and MIG instances have none.
//   - The visibility variables tell a process which devices it may use. They
//     are no isolation: a program that ignores them sees the whole host.
//
// A failed probe is an error, never an empty list: a host whose driver hangs
// must not announce itself as a host without accelerators.
package accel
