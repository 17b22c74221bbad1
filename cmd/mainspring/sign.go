package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/internal/signing"
)

func newSignCommand() *cobra.Command {
	var uri, file string
	command := &cobra.Command{
		Use:   "sign DIR --key URI --signature FILE",
		Short: "Sign the files of a model's directory, as OpenSSF's model_signing does",
		Long: "Sign reads every file of a directory and writes a bundle in the format of OpenSSF Model Signing v1,\n" +
			"which `model_signing verify key` accepts. The key is file:PATH or env:NAME (PEM), or exec:PROGRAM for a\n" +
			"token or key service; see docs/signing.md. An existing signature file is replaced.",
		Example: "  mainspring sign model/ --key file:release.pem --signature model.sig",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			key, err := signing.OpenKey(command.Context(), uri, os.Getenv)
			if err != nil {
				return err
			}
			bundle, err := signing.SignDir(command.Context(), key, args[0], file)
			if err != nil {
				return err
			}
			if err := writeWhole(file, bundle, 0o644); err != nil {
				return err
			}
			id, err := signing.KeyID(key.Public())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "signed %s with key %s: %s\n", args[0], id, file)
			return err
		},
	}
	command.Flags().StringVar(&uri, "key", "", "private key: file:PATH, env:NAME or exec:PROGRAM")
	command.Flags().StringVar(&file, "signature", "", "file to write the signature to")
	return requireFlags(command, "key", "signature")
}

func newVerifyCommand() *cobra.Command {
	var file string
	var keys []string
	command := &cobra.Command{
		Use:   "verify DIR --signature FILE --public-key FILE",
		Short: "Hold the files of a model's directory against a signature",
		Long: "Verify reads every file of a directory. It fails and names the files when one was changed, is missing\n" +
			"or was not signed, and when none of the given keys has made the signature, which may come from\n" +
			"`model_signing sign key` as well.",
		Example: "  mainspring verify model/ --signature model.sig --public-key release.pub.pem",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			found, err := verifySignature(command, args[0], file, keys)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "verified: %d files of %s, signed as %q with key %s\n", found.Files, args[0], found.Name, found.KeyID)
			return err
		},
	}
	command.Flags().StringVar(&file, "signature", "", "the signature")
	command.Flags().StringArrayVar(&keys, "public-key", nil, "PEM file of a key whose signature counts; repeatable")
	return requireFlags(command, "signature", "public-key")
}

// verifySignature holds a directory against a signature file.
func verifySignature(command *cobra.Command, dir, file string, keys []string) (signing.Verified, error) {
	trust, err := signing.LoadTrust(keys...)
	if err != nil {
		return signing.Verified{}, err
	}
	bundle, err := os.ReadFile(file)
	if err != nil {
		return signing.Verified{}, fmt.Errorf("read the signature: %w", err)
	}
	return signing.VerifyDir(command.Context(), bundle, trust, dir, file)
}

func newKeygenCommand() *cobra.Command {
	var prefix string
	command := &cobra.Command{
		Use:   "keygen --out PREFIX",
		Short: "Draw a key pair to sign models with",
		Long: "Keygen writes PREFIX.pem, a private P-256 key that only you may read, and PREFIX.pub.pem, its public key.\n" +
			"It never replaces a file. Keep the private key where the workers run and nowhere else.",
		Example: "  mainspring keygen --out release",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return keygen(command.OutOrStdout(), prefix)
		},
	}
	command.Flags().StringVar(&prefix, "out", "", "path of the files, without their endings")
	return requireFlags(command, "out")
}

func keygen(out io.Writer, prefix string) error {
	private, public, err := signing.GenerateKey()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(prefix + ".pub.pem"); err == nil {
		return fmt.Errorf("%s.pub.pem is there already; choose another --out", prefix)
	}
	for _, file := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{{prefix + ".pem", private, 0o600}, {prefix + ".pub.pem", public, 0o644}} {
		if err := writeNew(file.name, file.text, file.mode); err != nil {
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s is there already; choose another --out", file.name)
			}
			return err
		}
	}
	_, err = fmt.Fprintf(out, "wrote %s.pem (private) and %s.pub.pem\n", prefix, prefix)
	return err
}

func writeNew(name string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// writeWhole replaces a file: whoever reads it sees the old text or the new.
func writeWhole(name string, text []byte, mode os.FileMode) error {
	partial := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".partial")
	if err := os.WriteFile(partial, text, mode); err != nil {
		return err
	}
	return os.Rename(partial, name)
}

// requireFlags marks flags that the command defines.
func requireFlags(command *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined by the caller
		}
	}
	return command
}
