"""The product's Suggester as a plain MLflow model, as one would first put it behind `mlflow models serve`."""

from typing import Any

import mlflow

from models.case_file import CaseFile
from models.domain import parse_case
from models.encoders import default_cache_dir
from models.registry import load_suggester


class SuggesterModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    def load_context(self, context: Any) -> None:
        self.suggester = load_suggester(cache_dir=default_cache_dir())

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[str]:
        files = [CaseFile(parse_case(text), {}) for text in model_input["case"]]
        return [suggestion.model_dump_json() for suggestion in self.suggester.suggest(files)]


mlflow.models.set_model(SuggesterModel())
