#include "runtime/comm/mpi_mail.hpp"

#include <exception>
#include <list>

#include "runtime/comm/mpi_handle.hpp"

namespace tutti {
namespace {

constexpr std::string_view kWhere = "mail between ranks";

}  // namespace

struct MpiMail::Sent {
  struct Post {
    std::string text;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  std::list<Post> posts;  // text and request stay where they are until MPI is done with them
  int exceptions = std::uncaught_exceptions();
};

MpiMail::MpiMail(const MpiGroup& group)
    : group_(group.duplicate()), sent_(std::make_unique<Sent>()) {}

MpiMail::~MpiMail() {
  if (std::uncaught_exceptions() > sent_->exceptions) {
    return;
  }
  for (Sent::Post& post : sent_->posts) {
    MPI_Wait(&post.request, MPI_STATUS_IGNORE);
  }
}

void MpiMail::post(int to, std::string text) {
  Sent::Post& post = sent_->posts.emplace_back();
  post.text = std::move(text);
  TUTTI_MPI(MPI_Isend(post.text.data(), static_cast<int>(post.text.size()), MPI_BYTE, to, 0,
                      group_.handle().comm, &post.request),
            kWhere);
}

std::optional<Letter> MpiMail::look() {
  for (auto post = sent_->posts.begin(); post != sent_->posts.end();) {
    int done = 0;
    TUTTI_MPI(MPI_Test(&post->request, &done, MPI_STATUS_IGNORE), kWhere);
    post = done != 0 ? sent_->posts.erase(post) : std::next(post);
  }
  int found = 0;
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  TUTTI_MPI(MPI_Improbe(MPI_ANY_SOURCE, 0, group_.handle().comm, &found, &message, &status),
            kWhere);
  if (found == 0) {
    return std::nullopt;
  }
  int count = 0;
  TUTTI_MPI(MPI_Get_count(&status, MPI_BYTE, &count), kWhere);
  Letter letter{.from = status.MPI_SOURCE, .text = std::string(static_cast<std::size_t>(count), 0)};
  TUTTI_MPI(MPI_Mrecv(letter.text.data(), count, MPI_BYTE, &message, MPI_STATUS_IGNORE), kWhere);
  return letter;
}

}  // namespace tutti
