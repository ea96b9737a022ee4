# SentencePiece::sentencepiece, the library that encodes, and SentencePiece::train, which tests want.
# Its pkg-config file asks for protobuf, which nobody needs who only encodes: on Ubuntu 24.04 it is of
# no use without.
find_path(SentencePiece_INCLUDE sentencepiece_processor.h)
find_library(SentencePiece_LIBRARY sentencepiece)
find_library(SentencePiece_TRAIN_LIBRARY sentencepiece_train)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(SentencePiece REQUIRED_VARS SentencePiece_LIBRARY
                                                             SentencePiece_INCLUDE)
if(SentencePiece_FOUND AND NOT TARGET SentencePiece::sentencepiece)
  add_library(SentencePiece::sentencepiece UNKNOWN IMPORTED)
  set_target_properties(SentencePiece::sentencepiece PROPERTIES
    IMPORTED_LOCATION "${SentencePiece_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${SentencePiece_INCLUDE}")
endif()
if(SentencePiece_TRAIN_LIBRARY AND NOT TARGET SentencePiece::train)
  add_library(SentencePiece::train UNKNOWN IMPORTED)
  set_target_properties(SentencePiece::train PROPERTIES
    IMPORTED_LOCATION "${SentencePiece_TRAIN_LIBRARY}"
    INTERFACE_LINK_LIBRARIES SentencePiece::sentencepiece)
endif()
mark_as_advanced(SentencePiece_INCLUDE SentencePiece_LIBRARY SentencePiece_TRAIN_LIBRARY)
