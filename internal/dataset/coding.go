package dataset

// Coding is the different values of some consecutive rows of a column, as a
// dictionary in a file has them: it spares looking at each row's.
type Coding struct {
	// Values are what codes stand for. They may repeat, and be there without a row;
	// a null is a value too. Chunks with the same pointer have the same values.
	Values *Series
	Codes  []int32 // of each row
}
