package signing

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// programLimit bounds one call of a key's program: tokens are slow, and a
// service that does not answer must not hold an activity for ever.
const programLimit = 30 * time.Second

// programKey is a key that a program has.
type programKey struct {
	name   string // for people; arguments may hold what is not for them
	argv   []string
	public *ecdsa.PublicKey
}

// openProgram asks the program for its public key. Its protocol:
//
//   - PROGRAM ARG… public prints the public key as PEM (SPKI).
//   - PROGRAM ARG… sign reads a digest in base64 on standard input and prints
//     the signature, ASN.1 DER, in base64. The digest is SHA-256, SHA-384 or
//     SHA-512, as the key's curve says; it is signed as it is, not hashed again.
//
// Any other exit status than 0 is a failure, and standard error says why. No
// shell is involved: arguments are separated by white space.
func openProgram(ctx context.Context, uri string, argv []string) (Key, error) {
	if len(argv) == 0 {
		return nil, badKey(uri, "names no program", nil, "write exec:PROGRAM ARG…")
	}
	k := programKey{name: "exec:" + argv[0], argv: argv}
	text, err := k.run(ctx, "public", nil)
	if err != nil {
		return nil, err
	}
	if k.public, err = onePublic(k.name, text); err != nil {
		return nil, err
	}
	return k, nil
}

// Public implements Key.
func (k programKey) Public() *ecdsa.PublicKey { return k.public }

// Sign implements Key.
func (k programKey) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	text, err := k.run(ctx, "sign", []byte(base64.StdEncoding.EncodeToString(digest)+"\n"))
	if err != nil {
		return nil, err
	}
	signature, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		return nil, badKey(k.name, "the program's answer to sign is not base64", err, "it must print the ASN.1 signature in base64, and nothing else")
	}
	return signature, nil
}

func (k programKey) run(ctx context.Context, verb string, input []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	command := exec.CommandContext(ctx, k.argv[0], append(append([]string(nil), k.argv[1:]...), verb)...)
	command.Stdin = bytes.NewReader(input)
	command.WaitDelay = time.Second
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("it did not answer within %s: %w", programLimit, ctx.Err())
		}
		const most = 500
		text := strings.TrimSpace(said.String())
		return nil, badKey(k.name, fmt.Sprintf("the program failed at %q", verb), err, text[max(len(text)-most, 0):])
	}
	return out.Bytes(), nil
}
