package serving

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/mainspring-ml/mainspring/models"
)

// findONNX returns the path of the ONNX file that the directory's MLmodel
// names.
func findONNX(modelDir string) (string, error) {
	path := filepath.Join(modelDir, "MLmodel")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", rejected(path, "the model directory has no MLmodel file",
			"write the model with mlflow.onnx.save_model, or add an MLmodel file whose flavors.onnx.data names the ONNX file", nil)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	var file struct {
		Flavors map[string]struct {
			Data string `yaml:"data"`
		} `yaml:"flavors"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return "", rejected(path, "the MLmodel file is not valid YAML", "", err)
	}
	flavour, ok := file.Flavors["onnx"]
	if !ok || flavour.Data == "" {
		return "", rejected(path, "the model has no onnx flavour, which built-in serving needs",
			"save the model with mlflow.onnx.save_model", nil)
	}
	if !filepath.IsLocal(flavour.Data) {
		return "", rejected(path, fmt.Sprintf("flavors.onnx.data is %q, which is outside the model directory", flavour.Data), "", nil)
	}
	onnx := filepath.Join(modelDir, flavour.Data)
	if _, err := os.Stat(onnx); err != nil {
		return "", rejected(path, fmt.Sprintf("flavors.onnx.data names %q, which can't be read", flavour.Data), "", err)
	}
	return onnx, nil
}

func rejected(subject, message, hint string, cause error) error {
	return &models.Error{Kind: models.KindModelRejected, Subject: subject, Message: message, Hint: hint, Cause: cause}
}
