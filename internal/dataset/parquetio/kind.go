package parquetio

import (
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// kind says how a Parquet column becomes a series. Type is empty when it can't.
type kind struct {
	Type     string
	physical parquet.Kind
	unsigned bool
	// A timestamp's value times multiply divided by divide is microseconds.
	multiply, divide int64
	// most is the largest value, of either sign, that can be multiplied.
	most int64
}

const microsPerDay = 24 * 60 * 60 * 1_000_000

// kindOf classifies a top-level column. Timestamps without a time zone are
// taken as UTC.
func kindOf(c *parquet.Column) kind {
	if !c.Leaf() || c.Repeated() || c.MaxDefinitionLevel() > 1 {
		return kind{}
	}
	t := c.Type()
	k := kind{physical: t.Kind(), multiply: 1, divide: 1, most: math.MaxInt64}
	var logical format.LogicalTypeValue
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case *format.TimestampType:
		return k.timestamp(l)
	case *format.DateType:
		k.Type = dataset.TypeTimestamp
		return k.times(microsPerDay)
	case *format.IntType:
		k.Type, k.unsigned = dataset.TypeInt64, !l.IsSigned
		return k
	case *format.StringType, *format.EnumType, *format.JsonType:
		k.Type = dataset.TypeString
		return k
	case nil:
		return k.plain(t)
	default:
		return kind{}
	}
}

func (k kind) timestamp(l *format.TimestampType) kind {
	switch l.Unit.Value.(type) {
	case *format.MilliSeconds:
		k = k.times(1000)
	case *format.NanoSeconds:
		k.divide = 1000
	case *format.MicroSeconds:
	default:
		return kind{}
	}
	k.Type = dataset.TypeTimestamp
	return k
}

func (k kind) times(factor int64) kind {
	k.multiply, k.most = factor, math.MaxInt64/factor
	return k
}

// plain is a column without a logical type; old writers gave a converted one.
func (k kind) plain(t parquet.Type) kind {
	if c := t.ConvertedType(); c != nil {
		switch *c {
		case deprecated.TimestampMicros:
			k.Type = dataset.TypeTimestamp
			return k
		case deprecated.TimestampMillis:
			k.Type = dataset.TypeTimestamp
			return k.times(1000)
		case deprecated.Decimal, deprecated.Interval, deprecated.TimeMicros, deprecated.TimeMillis, deprecated.Bson:
			return kind{}
		default:
		}
	}
	switch k.physical {
	case parquet.Boolean:
		k.Type = dataset.TypeBool
	case parquet.Int32, parquet.Int64:
		k.Type = dataset.TypeInt64
	case parquet.Float, parquet.Double:
		k.Type = dataset.TypeFloat64
	case parquet.ByteArray:
		k.Type = dataset.TypeString
	default:
		return kind{}
	}
	return k
}

// integer reads a value of a column whose series uses Ints. Unsigned numbers
// above the largest int64 become that.
func (k kind) integer(v parquet.Value) int64 {
	switch k.physical {
	case parquet.Boolean:
		if v.Boolean() {
			return 1
		}
		return 0
	case parquet.Int32:
		if k.unsigned {
			return int64(v.Uint32())
		}
		return k.scale(int64(v.Int32()))
	default:
		if k.unsigned && v.Int64() < 0 {
			return math.MaxInt64
		}
		return k.scale(v.Int64())
	}
}

// scale rounds towards the past, so that no row moves across a boundary into
// the future. A time beyond what microseconds count becomes the last or the first
// that they do: such stand for never.
func (k kind) scale(v int64) int64 {
	switch {
	case v > k.most:
		return math.MaxInt64
	case v < -k.most:
		return math.MinInt64
	}
	v *= k.multiply
	if k.divide == 1 {
		return v
	}
	q := v / k.divide
	if v%k.divide < 0 {
		q--
	}
	return q
}

func (k kind) float(v parquet.Value) float64 {
	if k.physical == parquet.Float {
		return float64(v.Float())
	}
	return v.Double()
}
