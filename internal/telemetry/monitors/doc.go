// Package monitors shows on a worker's /metrics what the monitors of all
// endpoints know. The figures are the monitors' own: they are asked for by
// status query, so every worker shows the same, whatever was restarted, and
// nothing is counted twice.
//
// Alert on what any worker shows, such as max by (endpoint) (…): several
// workers show the same figure, and one that can't ask shows none.
//
// # Vocabulary
//
//   - A look asks every monitor once. Its answers are kept for a while, so that
//     several scrapes cost one look.
//   - A figure is what one look found. A look that fails leaves no figures:
//     old ones would hide that nobody watches.
package monitors
