"""ONNX graph in memory: what its tensors depend on, and parts of it as models of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import starmap
from pathlib import Path
from typing import Any

from wyoming_tts.engines.onnx_graph.nodes import FLOAT, HALF, CannotCut, Constants, Node, makes_half


class OnnxGraph:
    """A model's graph."""

    def __init__(self, model: Any) -> None:
        """Take an onnx.ModelProto, which may be edited afterwards.

        Raises:
            CannotCut: not all its weights are in it.
        """
        import onnx  # noqa: PLC0415  # heavy, and only needed while a voice is loaded

        self._onnx = onnx
        self.model = model
        graph = model.graph
        if any(each.data_location for each in graph.initializer):
            raise CannotCut("its weights lie in other files")
        if graph.sparse_initializer:
            raise CannotCut("it has sparse weights")
        self.output = graph.output[0]
        """The declaration of the samples."""
        self.read_nodes()

    @classmethod
    def read(cls, path: Path) -> OnnxGraph:
        """Read a file.

        Raises:
            CannotCut: not all its weights are in the file.
            Exception: of any kind that the onnx package raises for a file that is no model.
        """
        import onnx  # noqa: PLC0415  # as above

        return cls(onnx.load(path, load_external_data=False))

    def read_nodes(self) -> None:
        """Read inputs, nodes and weights; again after they were edited."""
        graph = self.model.graph
        self.weights: dict[str, Any] = {each.name: each for each in graph.initializer}
        self.inputs: Mapping[str, Any] = {
            each.name: each for each in graph.input if each.name not in self.weights
        }
        """Their declarations by name, without those of weights."""
        self.nodes = _in_order([Node.of(each) for each in self.model.graph.node])
        self.producers = {output: node for node in self.nodes for output in node.outputs}
        self.users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                self.users.setdefault(name, []).append(node)
        self.constants = Constants(self.weights, self.producers)

    def dependents(self, names: Iterable[str]) -> set[str]:
        """These tensors and all that are computed from them."""
        reached = set(names)
        for node in self.nodes:
            if not reached.isdisjoint(node.inputs):
                reached.update(node.outputs)
        return reached

    def ancestors(self, names: Iterable[str], stop: Collection[str] = ()) -> list[Node]:
        """The nodes that compute these tensors, in order, without those that compute `stop`."""
        stop = frozenset(stop)
        needed = {*names} - stop
        found = []
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.outputs):
                found.append(node)
                needed.update(name for name in node.inputs if name not in stop)
        return found[::-1]

    def extract(self, inputs: Collection[str], outputs: Collection[str]) -> bytes:
        """Serialize what computes the outputs from the inputs as a model of its own."""
        nodes = self.ancestors(outputs, stop=inputs)
        needed = {name for node in nodes for name in node.inputs}
        weights = [each for name, each in self.weights.items() if name in needed]
        return self.assemble([node.proto for node in nodes], weights, self.opsets(), inputs, outputs)

    def opsets(self) -> dict[str, int]:
        """Version of the operators of each domain."""
        return {each.domain: each.version for each in self.model.opset_import}

    def assemble(
        self,
        nodes: Iterable[Any],
        weights: Iterable[Any],
        opsets: Mapping[str, int],
        inputs: Collection[str],
        outputs: Collection[str],
    ) -> bytes:
        """Serialize what `model_of` makes."""
        return self.model_of(nodes, weights, opsets, inputs, outputs).SerializeToString()  # type: ignore[no-any-return]

    def model_of(
        self,
        nodes: Iterable[Any],
        weights: Iterable[Any],
        opsets: Mapping[str, int],
        inputs: Collection[str],
        outputs: Collection[str],
    ) -> Any:
        """Nodes as an onnx.ModelProto; its inputs and outputs have the types that they have in the whole."""
        # Before version 4 every weight had to be declared as an input too.
        model = self._onnx.ModelProto(ir_version=max(4, self.model.ir_version))
        model.opset_import.extend(starmap(self._onnx.helper.make_opsetid, opsets.items()))
        model.functions.extend(self.model.functions)
        model.graph.name = self.model.graph.name or "part"
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(weights)
        model.graph.input.extend(self._declared_input(name) for name in sorted(inputs))
        model.graph.output.extend(self._declared_output(name) for name in outputs)
        return model

    def _declared_input(self, name: str) -> Any:
        if name in self.inputs:
            return self.inputs[name]
        kind = HALF if name in self._halves else FLOAT
        return self._onnx.helper.make_tensor_value_info(name, kind, None)

    def _declared_output(self, name: str) -> Any:
        # Without a type: whoever reads the model infers it.
        return self.output if name == self.output.name else self._onnx.ValueInfoProto(name=name)

    @cached_property
    def _halves(self) -> frozenset[str]:
        """Names of the tensors of 16 bits."""
        attributes = (attribute for node in self.nodes for attribute in node.proto.attribute)
        if not any(each.data_type == HALF for each in self.weights.values()) and not any(
            map(makes_half, attributes)
        ):
            return frozenset()
        # Their types are inferred without the weights' values, which would be copied.
        typed = self._onnx.ModelProto(ir_version=self.model.ir_version)
        typed.opset_import.extend(self.model.opset_import)
        typed.graph.node.extend(node.proto for node in self.nodes)
        typed.graph.input.extend(self.inputs.values())
        declare = self._onnx.helper.make_tensor_value_info
        typed.graph.input.extend(
            declare(name, each.data_type, each.dims) for name, each in self.weights.items()
        )
        inferred = self._onnx.shape_inference.infer_shapes(typed).graph.value_info
        return frozenset(each.name for each in inferred if each.type.tensor_type.elem_type == HALF)


def _in_order(nodes: Sequence[Node]) -> list[Node]:
    """The nodes in an order in which they can run: their own, but some tools put what they add at the end."""
    producers = {output: node for node in nodes for output in node.outputs}
    ordered: dict[Node, None] = {}
    for node in nodes:
        waiting = [node]
        while waiting:
            missing = (producers.get(name) for name in waiting[-1].inputs)
            first = next((each for each in missing if each is not None and each not in ordered), None)
            if first is None:
                ordered[waiting.pop()] = None
            elif len(waiting) > len(nodes):
                raise CannotCut("its nodes wait for each other")
            else:
                waiting.append(first)
    return [*ordered]
