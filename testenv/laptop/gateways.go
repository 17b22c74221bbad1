package laptop

import (
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// gatewayName is the stack's name of its first gateway.
const gatewayName = "gateway"

// anotherGateway is the stack's gateway once more: the same flags, but for what
// two of them can't share.
func anotherGateway(programs []devstack.Program, n int) (another devstack.Program, url string, err error) {
	i := slices.IndexFunc(programs, func(p devstack.Program) bool { return p.Name == gatewayName })
	if i < 0 {
		return another, "", fmt.Errorf("the stack has no program %q to repeat", gatewayName)
	}
	// The others' addresses are free as well: they don't run yet.
	taken := func(address string) bool {
		return slices.ContainsFunc(programs, func(p devstack.Program) bool { return slices.Contains(p.Args, address) })
	}
	address, err := devstack.FreeAddress()
	for ; err == nil && taken(address); address, err = devstack.FreeAddress() {
	}
	if err != nil {
		return another, "", err
	}
	another = programs[i]
	another.Name = fmt.Sprintf("%s-%d", gatewayName, n)
	another.Args, another.Ready = slices.Clone(another.Args), supervise.TCPReady(address)
	for j, flag := range another.Args[:len(another.Args)-1] {
		value := &another.Args[j+1]
		switch flag {
		case "--addr":
			*value = address
		case "--grpc-addr", "--admin-addr":
			*value = "127.0.0.1:0"
		case "--name", "--spool-dir", "--ready-file":
			*value = fmt.Sprintf("%s-%d", *value, n)
		}
	}
	return another, "http://" + address, nil
}
