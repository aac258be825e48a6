"""What every section of a recipe is made of."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from asr_gate.corpus.errors import UserError

AUTO = "auto"


class OrAuto:
    """Marks a value that may also be `auto` in a recipe: `machine.resolve_for_machine` chooses it.

    Code reads recipes in which it has done so; so the value has its plain type.
    """

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def validate(value: object, plain: ValidatorFunctionWrapHandler) -> object:
            return value if value == AUTO else plain(value)

        return core_schema.no_info_wrap_validator_function(
            validate,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )


class RecipeError(UserError):
    """A recipe or an override is not valid."""


class Section(BaseModel):
    """Base of every section of a recipe: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
