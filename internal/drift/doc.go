// Package drift watches a sequence of losses, one per matured block, and cries
// when they rise. It is arithmetic on models.DetectorState without clock, I/O
// or hidden randomness: the same state and loss give the same next state.
//
// # Vocabulary
//
//   - A loss is the mean loss of one block; blocks are exchangeable while
//     nothing drifts (rows are not, see the reference on monitoring).
//   - The reference is every loss known so far: losses of days the model was not
//     trained on, and each loss judged since.
//   - The place of a loss is the interval of its rank from the top among the
//     reference and itself, as a share of their number. While nothing drifts it
//     is every one of the possible intervals with the same chance; a number drawn
//     from it is the conformal p-value. A rise makes it small.
//   - A stratum is the reference of one season, such as Mondays. Losses compare
//     within their season only. An empty stratum is no evidence, and starts one.
//     Where nobody knows when the reference was, there is one stratum for all: a
//     weekly pattern then makes alarms rarer and later, not more frequent.
//   - The value of a detector is the capital of people who bet against that: it
//     starts at 1, and no way to bet makes it rise on average unless something
//     drifts. So it is ever 1/α with probability at most α (Ville's inequality).
//   - A stake is capital handed out at one moment to two bettors, who believe
//     that losses rose at that moment by half or by one deviation.
//
// # Kinds
//
// Conformal and estimated detectors bet on places: on those of measured losses,
// and on those of losses estimated before labels come. Bettors know that losses
// which had risen join the reference and make the next ones look usual, so that
// small rises that last are found as well (see odds). A fall is no evidence.
// Level detectors bet that the loss is above a promised one on average, and so
// see a rise that came too slowly for ranks, or before the reference. They take
// a season, and any other deviation of single blocks, as what it is: a loss
// above the promise.
//
// # What holds
//
// Let α be Alpha of the budget b, and α_i the share of it that detector i has;
// the α_i sum to α. While losses are exchangeable (for kind level: while their
// expectation is at most the level whatever happened before), whatever their
// distribution and however the detectors depend on each other,
//
//   - P(any alarm within a year of the start) ≤ α < b, and within T years ≤ αT.
//     A detector starts with 1, in the first year's course handed out to bettors,
//     and gets 1 more in each later year. Its value never rises on average by
//     anything else, and an alarm takes 1/α_i of it.
//   - E[false alarms within T years] ≤ b·max(1, T) if detectors start afresh
//     after each alarm: each of N alarms buys one more start, hence E[N] ≤
//     α(T + E[N]), and α/(1-α) = b. A start for another reason, such as a new
//     champion, begins a new account.
//
// A year is one of event time. Blocks that are no evidence do not count against
// it. What a state forgets to stay small costs resolution, not validity (see
// forget). The level detector's own level is an estimate unless the spec gives
// one: if it happens to lie below the true mean, an alarm says just that.
//
// # Choices
//
// The bettors' beliefs, their stakes' dates and the share handed out at once were
// chosen by simulated delays of rises of .2, .5 and 1 deviation in skewed daily
// losses with and without a weekly pattern, the rise coming at once or after 90
// days. Two of them came from looking at how the flights in testdata fared:
// paying by the place's whole interval instead of by a random number in it, and
// stakes for every day instead of every week; simulations agree with both.
// Seasons by day of the week were tried when the flights' alarm came late without
// them: in simulation they cost almost nothing when there was no weekly pattern,
// and saved up to half of the delay when there was one.
package drift
