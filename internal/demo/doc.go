// Package demo is the main job of `mainspring demo`: it starts a lifecycle on
// a running stack, replays a year of real traffic against the gateway, and
// tells what happened. It scripts nothing: which month decays, what alarms,
// and which retraining is promoted follow from data, detectors and gates.
//
// # Compressed time
//
// The replay sends a day of traffic as fast as the stack answers. A retraining
// that takes minutes at real speed would so last months, and the clock is
// therefore held, and no traffic sent, while a retraining prepares, trains and
// is judged; its canary runs on replayed traffic like any other.
//
// A Story is everything that happened, as report.json has it. The Teller
// gathers it from the workflows' status queries, the Replayer sends the
// traffic, and a View shows it while it grows.
package demo
