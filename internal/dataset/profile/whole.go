package profile

// Whole is what the rows of both sides look like together.
func (p Profile) Whole() (SideProfile, error) { return mergeSides(p.Train, p.Test) }
