"""What can be wrong with arrays given to a kernel, one type for each kind of mistake."""


class MissingArray(ValueError):
    """An array that the kernel needs was not given."""


class UnknownArray(ValueError):
    """An array was given, or asked for, that the definition does not have."""


class WrongShape(ValueError):
    """An array's shape disagrees with the definition or with another array."""


class EmptyAxis(ValueError):
    """There is no time step, no sequence in the batch, or an axis of length zero."""


class WrongType(TypeError):
    """An array's numbers cannot be used as they are."""


class UnboundFunction(ValueError):
    """A definition leaves a function open and the caller did not say what it is."""


class CannotCompile(NotImplementedError):
    """A formula that is mathematics for readers, such as an ordered product, was given to the compiler."""
