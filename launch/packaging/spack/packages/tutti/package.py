# spack repo add launch/packaging/spack && spack install tutti (docs/packaging.md)
import os

from spack.package import *

# The clone that this recipe lies in.
CLONE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../../.."))


class Tutti(CMakePackage, CudaPackage):
    """Tensor-parallel inference of large language models under mpirun and Slurm."""

    homepage = "file://" + os.path.join(CLONE, "README.md")
    git = "file://" + CLONE

    version("main", branch="main")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi")
    depends_on("hdf5@1.10: ~mpi")
    depends_on("openblas threads=openmp")
    depends_on("openssl@3:")
    depends_on("xxhash")
    depends_on("nlohmann-json@3.11:")
    depends_on("fmt@9:")
    depends_on("boost@1.74: +program_options")
    depends_on("pcre2")
    depends_on("utf8proc")
    depends_on("sentencepiece")
    depends_on("cuda@12.8:", when="+cuda")
    depends_on("nccl@2.28:", when="+cuda")
    conflicts("cuda_arch=none", when="+cuda", msg="cuda_arch=90 for H100 and H200, 80 for A100")

    generator("ninja")

    def cmake_args(self):
        args = [
            self.define("TUTTI_TESTS", False),
            self.define("TUTTI_CUDA", "on" if "+cuda" in self.spec else "off"),
        ]
        if "+cuda" in self.spec:
            args.append(self.define_from_variant("CMAKE_CUDA_ARCHITECTURES", "cuda_arch"))
        return args
