package main

import "github.com/spf13/cobra"

func newDataProfileCommand() *cobra.Command { return &cobra.Command{Use: "profile"} }
func newDataCheckCommand() *cobra.Command   { return &cobra.Command{Use: "check"} }
