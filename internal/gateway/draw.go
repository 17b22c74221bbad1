package gateway

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/mainspring-ml/mainspring/models"
)

// place puts a key at a point in [0,1), the same on every gateway.
func place(key string) float64 { return unit(xxhash.Sum64String(key)) }

// placeRequest places a request of one route generation: a retried request
// meets the same arm, and another generation draws afresh.
func placeRequest(id string, generation int64) float64 { return placeFor("", id, generation) }

// copied decides whether a request of one generation is copied to a shadow that
// gets this share of them: independent of the draw of its arm, and the same on
// every gateway.
func copied(id string, generation int64, share float64) bool {
	return placeFor("shadow/", id, generation) < share
}

func placeFor(purpose, id string, generation int64) float64 {
	var text [96]byte
	b := append(text[:0], purpose...)
	b = strconv.AppendInt(b, generation, 10)
	b = append(b, '/')
	b = append(b, id...)
	return unit(xxhash.Sum64(b))
}

func unit(hash uint64) float64 { return float64(hash>>11) / (1 << 53) }

// arrange orders arms for drawing: canaries before the champion, so that a
// sticky key that once drew the canary keeps it while the canary's share grows.
// Arms without weight stay, as places to fail over to.
func arrange(arms []models.Arm) []models.Arm {
	arranged := slices.Clone(arms)
	slices.SortFunc(arranged, func(a, b models.Arm) int {
		rank := func(r models.Role) int {
			if r == models.RoleChampion {
				return 1
			}
			return 0
		}
		return cmp.Or(rank(a.Role)-rank(b.Role), cmp.Compare(a.Version, b.Version))
	})
	return arranged
}

// draw picks the arm whose share covers the point u; nil when no arm has
// weight.
func (r *route) draw(u float64) *arm {
	var last *arm
	for _, a := range r.arms {
		if a.share <= 0 {
			continue
		}
		last = a
		if u -= a.share; u < 0 {
			return a
		}
	}
	return last // u ran past the end by rounding
}
