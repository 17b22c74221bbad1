package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

func TestStickyKey(t *testing.T) {
	input := func(data string) []oip.RawTensor {
		return []oip.RawTensor{{Name: "x", Data: []byte(`[9]`)}, {Name: "user", Data: []byte(data)}}
	}
	header := http.Header{"Cookie": {"a=b; session=s-17", "; ;"}, "User": {"u1"}}
	for _, test := range []struct {
		spec   models.StickySpec
		inputs []oip.RawTensor
		want   string
	}{
		{models.StickySpec{}, nil, ""},
		{models.StickySpec{Header: "user"}, nil, "u1"},
		{models.StickySpec{Header: "other"}, nil, ""},
		{models.StickySpec{Cookie: "session"}, nil, "s-17"},
		{models.StickySpec{Cookie: "none"}, nil, ""},
		{models.StickySpec{Input: "user"}, input(`["anna","bert"]`), "anna"},
		{models.StickySpec{Input: "user"}, input(" [ [ \"a\\\"\\u00e9]\" ] ]"), `a"é]`},
		{models.StickySpec{Input: "user"}, input(`[[ 17 , 18]]`), "17"},
		{models.StickySpec{Input: "user"}, input(`[true]`), "true"},
		{models.StickySpec{Input: "user"}, input(`[]`), ""},
		{models.StickySpec{Input: "user"}, input(`[null]`), ""},
		{models.StickySpec{Input: "user"}, input(`["never ends`), ""},
		{models.StickySpec{Input: "none"}, input(`[1]`), ""},
		{models.StickySpec{Input: "user"}, nil, ""},
		{models.StickySpec{Input: "user"}, []oip.RawTensor{{Name: "user", Datatype: oip.Int64, Shape: []int64{1}, Binary: binary.LittleEndian.AppendUint64(nil, 17)}}, "17"},
		{models.StickySpec{Input: "user"}, []oip.RawTensor{{Name: "user", Datatype: oip.Bytes, Shape: []int64{1}, Binary: []byte("\x04\x00\x00\x00anna")}}, "anna"},
	} {
		if got := stickyKey(test.spec, header, test.inputs); got != test.want {
			t.Errorf("%+v: %q, want %q", test.spec, got, test.want)
		}
	}
	header[HeaderStickyKey] = []string{"default"}
	for spec, want := range map[models.StickySpec]string{{}: "default", {Header: "other"}: "default", {Header: "user"}: "u1"} {
		if got := stickyKey(spec, header, nil); got != want {
			t.Errorf("%+v with the default header: %q, want %q", spec, got, want)
		}
	}
}

// TestAPersonStaysOnOneArm asks two gateways for the same people by each kind
// of key, while the canary's share grows: everybody meets the same arm on both,
// and who has met the canary keeps it.
func TestAPersonStaysOnOneArm(t *testing.T) {
	byHeader := func(user string) (string, map[string]string) { return inferBody, map[string]string{"X-User": user} }
	for name, test := range map[string]struct {
		spec models.StickySpec
		ask  func(user string) (body string, header map[string]string)
	}{
		"default": {models.StickySpec{}, func(user string) (string, map[string]string) {
			return inferBody, map[string]string{HeaderStickyKey: user}
		}},
		"header": {models.StickySpec{Header: "X-User"}, byHeader},
		"cookie": {models.StickySpec{Cookie: "user"}, func(user string) (string, map[string]string) {
			return inferBody, map[string]string{"Cookie": "theme=dark; user=" + user}
		}},
		"input": {models.StickySpec{Input: "carrier"}, func(user string) (string, map[string]string) {
			return strings.Replace(inferBody, "UA", user, 1), nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := newStage(t, Config{}), newStage(t, Config{})
			for _, s := range []*stage{one, two} {
				s.replicas("v1", modelServer(t, "v1"))
				s.replicas("v2", modelServer(t, "v2"))
			}
			const people = 300
			met := map[string]bool{}
			for generation, share := range []float64{0.05, 0.2, 0.5, 1} {
				canaries := 0
				for _, s := range []*stage{one, two} {
					s.traffic(int64(generation+1), models.Arm{Version: "v2", Role: models.RoleCanary, Weight: share}, models.TrafficSpec{Sticky: test.spec})
				}
				for i := range people {
					user := fmt.Sprint("user", i)
					body, header := test.ask(user)
					first := one.post("/v2/models/flights/infer", body, header).header.Get(HeaderVersion)
					if second := two.post("/v2/models/flights/infer", body, header).header.Get(HeaderVersion); first != second {
						t.Fatalf("%s meets %s here and %s there", user, first, second)
					}
					if first == "v2" {
						canaries++
						met[user] = true
					} else if met[user] {
						t.Fatalf("%s lost the canary when its share grew to %v", user, share)
					}
				}
				if limit := 5 * math.Sqrt(people*share*(1-share)); math.Abs(float64(canaries)-people*share) > limit {
					t.Errorf("share %v: %d of %d people meet the canary", share, canaries, people)
				}
			}
		})
	}
}

func TestCopiesAreDrawnByThemselves(t *testing.T) {
	const n = 100_000
	var both, canary, copy int
	for i := range n {
		id := fmt.Sprint("r", i)
		drawn, sent := placeRequest(id, 7) < 0.3, copied(id, 7, 0.2)
		if drawn {
			canary++
		}
		if sent {
			copy++
		}
		if drawn && sent {
			both++
		}
		if copied(id, 7, 0) || !copied(id, 7, 1) {
			t.Fatal("a share of none or all is not kept")
		}
	}
	if limit := 5 * math.Sqrt(n*0.2*0.8); math.Abs(float64(copy)-n*0.2) > limit {
		t.Errorf("%d of %d are copied", copy, n)
	}
	if limit := 5 * math.Sqrt(n*0.06*0.94); math.Abs(float64(both)-n*0.06) > limit {
		t.Errorf("%d of %d are both, as if the draws were not independent", both, n)
	}
}

func TestFirstValueReadsNoFurther(t *testing.T) {
	long := append([]byte(`["key",`), bytes.Repeat([]byte("x"), 1<<20)...)
	if got := testing.AllocsPerRun(10, func() { firstValue(long) }); got > 10 {
		t.Errorf("%v allocations", got)
	}
	if got := firstValue(long); got != "key" {
		t.Errorf("%q", got)
	}
}
