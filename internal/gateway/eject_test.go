package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func testPool(t *testing.T, n int) *pool {
	t.Helper()
	p := newPool()
	urls := []*url.URL{}
	for i := range n {
		urls = append(urls, &url.URL{Scheme: "http", Host: fmt.Sprintf("s%d:1", i)})
	}
	p.publish(urls)
	return p
}

var testEject = models.EjectSpec{Failures: 3, For: models.Duration(time.Second)}

func TestEjectionDoublesUpToAMinute(t *testing.T) {
	p := testPool(t, 2)
	bad, now := (*p.replicas.Load())[0], time.Unix(1000, 0)
	fail := func() {
		for range testEject.Failures {
			p.observe(bad, faulty, now, testEject)
		}
	}
	p.observe(bad, faulty, now, testEject)
	p.observe(bad, faulty, now, testEject)
	p.observe(bad, proper, now, testEject)
	p.observe(bad, faulty, now, testEject)
	if bad.ejected(now) {
		t.Fatal("ejected for failures that were not in a row")
	}
	p.observe(bad, proper, now, testEject)
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		fail()
		if last := want * time.Second; !bad.ejected(now.Add(last-1)) || bad.ejected(now.Add(last)) {
			t.Fatalf("ejected until %v, want %v", time.Unix(0, bad.ejectedUntil.Load()).Sub(now), last)
		}
		now = now.Add(want * time.Second)
	}
	now = now.Add(maxEjection + time.Second) // well behaved for a minute
	fail()
	if !bad.ejected(now) || bad.ejected(now.Add(time.Second)) {
		t.Errorf("the ejections did not start over")
	}
}

// TestEjectionLeavesEnough fails replicas at random, makes some unreachable,
// and looks that never more than half are ejected and the last one never.
func TestEjectionLeavesEnough(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for size := 1; size <= 5; size++ {
		p, now, most := testPool(t, size), time.Unix(1000, 0), 0
		replicas := *p.replicas.Load()
		for range 20_000 {
			now = now.Add(time.Duration(random.IntN(300)) * time.Millisecond)
			r := replicas[random.IntN(size)]
			upBefore := 0
			for _, other := range replicas {
				if other.up(now) {
					upBefore++
				}
			}
			if random.IntN(20) == 0 {
				r.downUntil.Store(now.Add(time.Second).UnixNano())
				continue
			}
			was := r.ejected(now)
			p.observe(r, faulty, now, testEject)
			ejected, up := 0, 0
			for _, other := range replicas {
				if other.ejected(now) {
					ejected++
				}
				if other.up(now) {
					up++
				}
			}
			most = max(most, ejected)
			if 2*ejected > size {
				t.Fatalf("%d of %d are ejected", ejected, size)
			}
			if !was && r.ejected(now) && up == 0 {
				t.Fatalf("the last of %d that was up is ejected", size)
			}
		}
		if most != size/2 {
			t.Errorf("at most %d of %d were ejected, want %d", most, size, size/2)
		}
	}
}

func TestAFailingReplicaIsPassedOver(t *testing.T) {
	s := newStage(t, Config{})
	var bad failing
	bad.broken.Store(true)
	s.replicas("v1", customServer(t, bad.as("v1")), modelServer(t, "v1"))
	s.traffic(7, models.Arm{Version: "v2", Role: models.RoleCanary}, models.TrafficSpec{Eject: models.EjectSpec{Failures: 2, For: models.Duration(time.Hour)}})
	failed := 0
	for i := range 20 {
		if r := s.infer(strconv.Itoa(i), day(1, 1)); r.status == 500 {
			failed++
		}
	}
	if failed != 2 || bad.asked.Load() != 2 {
		t.Errorf("%d of 20 requests failed, the bad server was asked %d times; want 2", failed, bad.asked.Load())
	}
	s.wantArm("v1@7", 20, 2)
}

// TestAnEjectedReplicaStandsInForItsVersion: what a version does wrong has to
// count for it, so its ejected server is asked before the champion.
func TestAnEjectedReplicaStandsInForItsVersion(t *testing.T) {
	canary, champion := &arm{pool: testPool(t, 2)}, &arm{pool: testPool(t, 1)}
	now := time.Unix(1000, 0)
	replicas := *canary.pool.replicas.Load()
	replicas[0].ejectedUntil.Store(now.Add(time.Second).UnixNano())
	replicas[1].downUntil.Store(now.Add(time.Second).UnixNano())
	p := passage{drawn: canary, champion: champion}
	for range 3 {
		line := p.line(nil, now)
		if len(line) != 3 || line[0].replica != replicas[0] || line[1].arm != champion || line[2].replica != replicas[1] {
			t.Fatalf("line %+v", line)
		}
	}
	now = now.Add(time.Second)
	first := map[*replica]int{}
	for range 10 {
		first[p.line(nil, now)[0].replica]++
	}
	if first[replicas[0]] != 5 || first[replicas[1]] != 5 {
		t.Errorf("turns %v", first)
	}
}
