// Package parquetio reads and writes dataset tables as Parquet. It reads the
// footer first, so that a caller can decide by the statistics which row groups
// it needs; then only the bytes of the wanted columns in those groups are
// fetched, with as few requests as is sensible. What it writes depends on the
// table alone: the same rows give the same bytes on any machine.
package parquetio
