// Package accel finds the accelerators of a host, watches their health and pins
// processes to them.
//
// # Vocabulary
//
//   - An [Inventory] is a source of devices: a vendor's driver library, sysfs, a
//     vendor's tool, or flags. A host has several; [Join] makes one of them.
//   - A virtual device stands for a share of the host's cores where there is no
//     accelerator. It is leased, fenced and shown like any other, and a control
//     file breaks and heals it.
//   - A device is named by its UUID everywhere, never by its index: indices
//     change when a device falls off the bus, and MIG instances have none.
//   - The visibility variables tell a process which devices it may use. They
//     are no isolation: a program that ignores them sees the whole host.
//   - A standing fault is seen by each probe for as long as it lasts, such as a
//     memory row that waits to be remapped. An event, such as an XID, is told
//     once. The [Ledger] remembers both and gives each its time.
//   - Figures are what changes all the time: power, load, processes. They are
//     for people and never part of an inventory, which would change with them.
//
// A failed probe is an error, never an empty list: a host whose driver hangs
// must not announce itself as a host without accelerators.
package accel
