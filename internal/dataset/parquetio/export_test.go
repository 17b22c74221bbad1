package parquetio

import "github.com/parquet-go/parquet-go"

// PagesForTest says of each page of a column chunk whether it has codes.
func (f *File) PagesForTest(group, column int) (coded []bool) {
	pages := f.file.RowGroups()[group].ColumnChunks()[column].Pages()
	defer pages.Close()
	for {
		page, err := pages.ReadPage()
		if err != nil {
			return coded
		}
		coded = append(coded, page.Dictionary() != nil)
		parquet.Release(page)
	}
}
